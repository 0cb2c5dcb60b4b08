"""What the site's pages say of the code is made from the code: one module for each page."""
