"""Connection to the Ray that a run uses: an existing cluster, or a local Ray that lives as long as the run."""
