"""What `promote` is made of: two versions compared, the decision, the alias moves it leads to."""
