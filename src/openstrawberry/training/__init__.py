"""Training on selected traces with trl: preferences (DPO and its kin) and supervised."""
