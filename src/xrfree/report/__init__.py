"""What people and other programs read: tables, pages, plots. The only place that rounds and writes units."""
