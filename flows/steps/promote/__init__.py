"""The steps of a promotion pass: two versions compared, the decision, the moves of aliases that follow."""
