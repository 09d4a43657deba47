"""The records of a study and of its trials, and their JSON form."""
