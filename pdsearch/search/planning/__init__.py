"""What a search will cost, in trainings, epochs and bytes."""
