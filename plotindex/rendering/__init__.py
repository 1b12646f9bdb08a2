"""Pictures of untrusted images, made by a confined process.

May import: errors, system, tree, config. This file imports nothing: the renderer is started from here by
`python -m` and loads as little as possible; other packages import its modules by full path.
"""
