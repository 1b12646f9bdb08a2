"""What reads facts in the renderer: texts and metadata of each format, and how a picture looks.

Only the renderer imports these modules. This file imports nothing, as that of `rendering`.
"""
