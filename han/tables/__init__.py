"""Reading and writing tables (CSV, TSV, JSON Lines, JSON, Excel, Parquet), and reading folders of text files."""
