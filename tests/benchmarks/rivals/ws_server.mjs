// Node's `ws`, the broadcast of its README: one text for all who are open. Run by the bench.
// WS_HOME is the folder whose node_modules has the package; the text is passed on as the bytes it came in.

import { createRequire } from "node:module";

const { WebSocketServer, WebSocket } = createRequire(`${process.env.WS_HOME}/`)("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  perMessageDeflate: false,
  backlog: 4096,
});

server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (text) => {
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(text, { binary: false });
    }
  });
});
