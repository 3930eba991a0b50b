// An MCP server of the revision without sessions alone, of the protocol's own
// library: node modern-server.mjs FOLDER-OF-MODULES PORT

import http from "node:http";
import { createRequire } from "node:module";
import { dirname } from "node:path";

const [modules, port] = process.argv.slice(2);
const library = `${modules}/@modelcontextprotocol/server`;
const { McpServer, createMcpHandler } =
    await import(`${library}/dist/index.mjs`);

// the library's own zod: other packages may want another one
const zod = createRequire(`${library}/package.json`)
    .resolve("zod/package.json");
const { z } = await import(`${dirname(zod)}/index.js`);

const text = (value) => ({ content: [{ type: "text", text: `${value}` }] });

const handler = createMcpHandler(() => {
    const server = new McpServer({ name: "modern", version: "1.0.0" });

    server.registerTool("sum", {
        description: "Adds two numbers.",
        inputSchema: z.object({ a: z.number(), b: z.number() }),
    }, async ({ a, b }) => text(a + b));

    server.registerTool("place", {
        description: "Where it is, which is a header, too.",
        inputSchema: z.object({
            where: z.string().meta({ "x-mcp-header": "Where" }),
        }),
    }, async ({ where }) => text(where));

    return server;
}, { legacy: "reject" });

http.createServer(async (req, res) => {
    const body = [];
    for await (const piece of req) body.push(piece);

    const answer = await handler.fetch(new Request(
        `http://127.0.0.1:${port}${req.url}`, {
            method: req.method,
            headers: Object.entries(req.headers),
            body: body.length ? Buffer.concat(body) : undefined,
        }));

    res.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) for await (const piece of answer.body) res.write(piece);
    res.end();
}).listen(Number(port), "127.0.0.1");
