"""Readers of archives, image folders and Parquet files."""
