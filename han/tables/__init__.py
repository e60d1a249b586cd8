"""Documents in files: tables (CSV, TSV, JSON Lines, JSON, Excel, Parquet), read and written, and folders of texts."""
