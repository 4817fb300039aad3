"""`penumbra bench flywheel`: what labels of people are worth, by how rows are picked, and what they say of all rows."""
