"""The REST API: what server SDKs call.

================  ====================================================================
`authentication`  which app a request is for, and that it may
`endpoint`        what every endpoint shares: methods, JSON out, errors as plain text
`parameters`      what requests say: query, JSON body, `info`
`events`          triggering
`batch`           triggering several at once
`channels`        what is occupied, and by how many
`users`           who is present, and who has to go
`health`          how the node is
`metrics`         what it counts
`paths`           what answers each path
`site`            twisted.web around them
`lean`            the way of plain requests, without twisted.web
================  ====================================================================
"""
