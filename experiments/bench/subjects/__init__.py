"""What the topics measure: runs, data sets, commands, and a published generator to compare with."""
