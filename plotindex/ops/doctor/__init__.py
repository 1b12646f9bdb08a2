"""`plotindex doctor`: checks of this machine, each with the fix for what it finds. Changes nothing."""
