"""What commands about the service and its logs print: answers, labels, rules, records, the shadow."""
