"""What compares two plots in the renderer: how their pictures differ, and what their drawings say differently.

Only the renderer imports these modules. This file imports nothing, as that of `rendering`.
"""
