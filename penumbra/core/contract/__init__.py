"""The contract as other forms of it: readers of values and records, rules between columns, descriptions, changes."""
