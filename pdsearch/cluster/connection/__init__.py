"""The Ray a run uses: a cluster it joins, or one of its own that begins and ends with it."""
