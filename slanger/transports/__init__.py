"""How bytes come and go: one room per kind of transport, all behind `slanger.interfaces.IWire`.

==============  =====================================================================
`connection`    one WebSocket, whichever way its bytes are read
`short`         the short way: plain handshakes and plain frames, without Autobahn
`upgrade`       what a plain handshake is, and its answer
`refusals`      how an opening handshake is refused
`frames`        what a plain frame is, and the frames of the server
`websocket`     the long way: Autobahn, for all that is not plain
`outbox`        what one connection is to be sent, joined per reactor turn, bounded
`direct`        writing to a TCP socket without a detour
`newcomer`      a connection whose first bytes say who takes it
`shared`        one port for WebSockets and REST alike
`proxied`       a port behind proxies that speak the PROXY protocol
`proxy_header`  the header of that protocol
==============  =====================================================================
"""
