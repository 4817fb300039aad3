"""What is predicted, from what: will a flight from New York arrive late?"""
