"""The checks that a `problem/` folder passes when it is loaded: types, columns, features, rules, target."""
