"""Reading and writing files and folders safely."""
