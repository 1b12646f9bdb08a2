"""What draws pictures in the renderer: a module for rasters, SVG and PDF each, and one that encodes the result.

Only the renderer imports these modules: resvg opens files that an SVG names, and nothing but the sandbox prevents it.
This file imports nothing, as that of `rendering`.
"""
