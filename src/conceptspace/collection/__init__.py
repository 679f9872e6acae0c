"""Collections: all runs of a sweep as a few Parquet files, read without opening run folders.

::

    COLLECTION/
      collection.json                     how many runs and parts; the settings that vary
      runs/part-0000.parquet              a row for each run: name, seed, settings, config, record
      trajectories/part-0000.parquet      a row group for each run: its trajectory, with settings
      best/part-0000.parquet              likewise its best settings, where scores were kept

A part holds the same runs in the same order in all three folders. The columns of settings are
called ``config.`` and the dotted name, such as ``config.data.color_separation``.
"""
