"""Pictures and pages made of an evaluation's results."""
