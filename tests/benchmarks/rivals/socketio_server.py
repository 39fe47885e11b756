"""python-socketio as its documentation shows it: all enter a room, and `emit` goes to the room. Run by the bench."""

# mypy: ignore-errors
# because python-socketio and uvicorn are in the extra `bench` alone, and the types are checked without it.

import sys

import socketio
import uvicorn

server = socketio.AsyncServer(
    async_mode="asgi", transports=["websocket"], ping_interval=600, logger=False, engineio_logger=False
)


@server.event
async def connect(sid, environ):
    await server.enter_room(sid, "all")


@server.event
async def frame(sid, message):
    await server.emit("frame", message, room="all")


if __name__ == "__main__":
    uvicorn.run(
        socketio.ASGIApp(server),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_level="warning",
        access_log=False,
        backlog=4096,
    )
