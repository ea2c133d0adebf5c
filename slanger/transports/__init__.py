"""How bytes come and go: one room per kind of transport, all behind `slanger.interfaces.IWire`.

===========  ======================================================================
`websocket`  WebSockets, by Autobahn
`outbox`     what one connection is to be sent, joined per reactor turn, bounded
`direct`     writing to a TCP socket without a detour
`shared`     one port for WebSockets and REST alike
===========  ======================================================================
"""
