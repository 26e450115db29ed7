"""The scorecard: its numbers, and the page that shows them."""
