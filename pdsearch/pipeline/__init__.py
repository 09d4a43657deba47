"""The stages of a trial, their caching under keys, and the run of a job."""
