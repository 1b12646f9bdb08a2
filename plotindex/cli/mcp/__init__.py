"""The command `plotindex mcp`: the catalogue for agents, by the Model Context Protocol on stdio.

`source` reads the HTTP interface, of this machine's catalogue (`local`) or of a server (`remote`); `list_tools`
and `picture_tools` are the tools, without a framework; `protocol` alone imports the SDK.
"""
