"""Figures and tables of data, runs and comparisons.

run_page           the whole page of a run: data, augmentation, then run_sections
run_sections       what came of the training, from the curves to the provenance
summary            what a page says first: how good the run is, and what is next
run_record         what a run has left behind, read once
measures           what the figures show, computed; pure
page               one HTML file without scripts
style              colours, light and dark
tables             tables for the terminal
comparison_file    what a comparison's YAML file says
comparison         systems side by side, from stored runs
comparison_curves  how fast they learn, as a CSV and a figure
comparison_tables  their tables, as Markdown and CSV
markdown           the part of a Markdown file that a command writes
figures/           the figures
"""
