"""The pattern of most FastAPI tutorials: a list of connections, and a loop that awaits each. Run by the bench.

As fast as uvicorn offers it: uvloop, httptools, no deflate, no access log; and texts pass as they come, without JSON.
"""

# mypy: ignore-errors
# because FastAPI and uvicorn are in the extra `bench` alone, and the types are checked without it.

import argparse

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect


class ConnectionManager:
    def __init__(self):
        self.active = []

    async def connect(self, websocket):
        await websocket.accept()
        self.active.append(websocket)

    def disconnect(self, websocket):
        self.active.remove(websocket)

    async def broadcast(self, message):
        for connection in self.active:
            await connection.send_text(message)


app = FastAPI()
manager = ConnectionManager()


@app.websocket("/ws")
async def talk(websocket: WebSocket):
    await manager.connect(websocket)
    try:
        while True:
            await manager.broadcast(await websocket.receive_text())
    except WebSocketDisconnect:
        manager.disconnect(websocket)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--ws", default="websockets-sansio")
    options = parser.parse_args()
    uvicorn.run(
        app,
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws=options.ws,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=4096,
    )
