// Official JavaScript clients, driven by lines of JSON; see driver.py.
//
// in:  {"id": 1, "do": "connect", "client": "ann", ...}
// out: {"reply": 1, "value": ...} or {"reply": 1, "error": "..."},
//      and for each event {"client", "scope", "event", "channel", "data", "metadata"}
"use strict";

console.log = console.info = console.error; // stdout is for the protocol alone

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

const PusherServer = require("pusher");

// Which versions. Those of the lock file, save where SDK_FOLDERS names other folders: {package: folder}

const folders = JSON.parse(process.env.SDK_FOLDERS || "{}");

function folderOf(name) {
  return folders[name.split("/")[0]] ?? __dirname;
}

function load(name) {
  return createRequire(join(folderOf(name), "package.json"))(name);
}

// Echo's CommonJS builds do not load in Node
async function loadModule(name) {
  const root = join(folderOf(name), "node_modules", name);
  const { module } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return import(pathToFileURL(join(root, module)));
}

// Telling Python

function plain(value) {
  if (value instanceof Error) return { type: value.name, message: value.message, ...value };
  const isMembers = value && typeof value === "object" && value.members && "myID" in value;
  return isMembers ? { count: value.count, members: value.members, myID: value.myID } : value;
}

function write(line) {
  const parents = [];
  const text = JSON.stringify(line, function (_key, value) {
    while (parents.length && parents[parents.length - 1] !== this) parents.pop();
    if (value && typeof value === "object") {
      if (parents.includes(value)) return "[circular]";
      parents.push(value);
    }
    return plain(value);
  });
  process.stdout.write(text + "\n");
}

function report(client, scope, event, channel, data, metadata) {
  write({ client, scope, event, channel: channel ?? null, data: data ?? null, metadata: metadata ?? null });
}

// bind_global hides the metadata (the user_id of client events): look at each emit instead.
function watch(emitter, tell) {
  const emit = emitter.emit;
  emitter.emit = function (event, data, metadata) {
    tell(event, data, metadata);
    return emit.call(this, event, data, metadata);
  };
}

// Clients: name -> {pusher, echo?, watched}

const clients = new Map();

const builds = {
  "pusher-js": () => load("pusher-js"),
  "pusher-js/with-encryption": () => {
    // a build for browsers: it touches a few of their globals
    globalThis.window ??= globalThis;
    globalThis.self ??= globalThis;
    globalThis.addEventListener ??= () => {};
    globalThis.document ??= { location: { protocol: "http:" }, body: {}, addEventListener() {} };
    return load("pusher-js/with-encryption");
  },
};

// builds for workers take what Node has, too
builds["pusher-js/worker"] = () => {
  globalThis.self ??= globalThis;
  globalThis.addEventListener ??= () => {};
  return load("pusher-js/worker");
};

function find(name) {
  const client = clients.get(name);
  if (!client) throw new Error(`no client ${name}`);
  return client;
}

function channelOf(client, name) {
  const channel = find(client).pusher.channel(name);
  if (!channel) throw new Error(`client ${client} has no channel ${name}`);
  return channel;
}

function watchChannel(client, channel) {
  const { watched } = find(client);
  if (watched.has(channel)) return;
  watched.add(channel);
  watch(channel, (event, data, metadata) => report(client, "channel", event, channel.name, data, metadata));
}

// What the app's own server would do, done here by the official SDK.
// auth: {key, secret, encryptionMasterKeyBase64, presence: {user_id, user_info}, user: {id, user_info, watchlist}}
function authorization({ key, secret, encryptionMasterKeyBase64, presence, user }) {
  const sdk = new PusherServer({ appId: "1", key, secret, encryptionMasterKeyBase64, cluster: "none" });
  const customHandler = ({ socketId, channelName }, callback) => {
    const member = channelName.startsWith("presence-") ? presence : undefined;
    callback(null, sdk.authorizeChannel(socketId, channelName, member));
  };
  // as versions before 7.1 ask for it
  const authorizer = ({ name }) => ({
    authorize: (socketId, callback) => customHandler({ socketId, channelName: name }, callback),
  });
  const signIn = ({ socketId }, callback) => callback(null, sdk.authenticateUser(socketId, user));
  return { authorizer, channelAuthorization: { customHandler }, userAuthentication: { customHandler: signIn } };
}

// The library's own listener comes first: by then the user's inbox exists, which no list of channels shows.
function watchUser(client, { connection, user }) {
  if (!user) return; // before 7.1 nobody signs in
  connection.bind("message", ({ event, data }) => {
    if (event !== "pusher:signin_success") return;
    watchChannel(client, user.serverToUserChannel);
    report(client, "user", event, null, data);
  });
  watch(user, (event, data) => report(client, "user", event, null, data));
  if (user.watchlist) watch(user.watchlist, (event, data) => report(client, "watchlist", event, null, data));
}

function echoChannel(client, kind, channel) {
  if (!["channel", "private", "encryptedPrivate", "join"].includes(kind)) throw new Error(`unknown kind ${kind}`);
  return find(client).echo[kind](channel);
}

const commands = {
  // library: "pusher-js", another of its builds, or "echo"; key and options: those of its constructor
  // signin: whether to sign in at once, before there is a connection
  async connect({ client, library, key, options, auth, signin }) {
    if (clients.has(client)) throw new Error(`client ${client} exists`);
    const plain = process.env.SDK_BUILD || "pusher-js"; // what the scorecard drives in its place
    const Pusher = builds[library === "echo" || library === "pusher-js" ? plain : library]();
    const settings = { cluster: "", disableStats: true, ...authorization(auth), ...options };
    if (plain === "pusher-js/worker") settings.nacl = require("tweetnacl"); // it brings none
    const entry = { watched: new Set() };
    if (library === "echo") {
      const { default: Echo } = await loadModule("laravel-echo");
      entry.echo = new Echo({ broadcaster: "pusher", withoutInterceptors: true, ...settings, key, Pusher });
      entry.pusher = entry.echo.connector.pusher;
    } else {
      entry.pusher = new Pusher(key, settings);
    }
    clients.set(client, entry);
    watch(entry.pusher.connection, (event, data) => {
      if (event !== "message") report(client, "connection", event, null, data);
    });
    watchUser(client, entry.pusher);
    if (signin) entry.pusher.signin();
  },
  signin({ client }) {
    find(client).pusher.signin();
  },
  disconnect({ client }) {
    find(client).pusher.disconnect();
    clients.delete(client);
  },
  state({ client }) {
    const { connection, user } = find(client).pusher;
    return {
      state: connection.state,
      socket_id: connection.socket_id,
      activity_timeout: connection.activityTimeout,
      user_id: user?.user_data?.id,
    };
  },
  // what a browser tells when the network is back: who waits to connect again waits no longer
  online() {
    load("pusher-js").Runtime.getNetwork().emit("online");
  },
  subscribe({ client, channel }) {
    watchChannel(client, find(client).pusher.subscribe(channel));
  },
  unsubscribe({ client, channel }) {
    find(client).pusher.unsubscribe(channel);
  },
  // client events
  trigger({ client, channel, event, data, times }) {
    for (let count = 0; count < times; count++) channelOf(client, channel).trigger(event, data);
  },
  // any message, right or wrong
  send({ client, event, data, channel }) {
    find(client).pusher.send_event(event, data, channel);
  },
  members({ client, channel }) {
    const { members } = channelOf(client, channel);
    const info = {};
    members.each((member) => (info[member.id] = member.info));
    return { count: members.count, info, me: members.me };
  },
  subscription_count({ client, channel }) {
    return channelOf(client, channel).subscriptionCount;
  },

  // Laravel Echo. kind: channel, private, encryptedPrivate or join; channel: its name without prefix
  listen({ client, kind, channel, events = [], whispers = [] }) {
    const it = echoChannel(client, kind, channel);
    const tell = (event) => (data) => report(client, "echo", event, it.name, data);
    it.subscribed(tell("subscribed")).error(tell("error"));
    if (kind === "join") it.here(tell("here")).joining(tell("joining")).leaving(tell("leaving"));
    for (const event of events) it.listen(event, tell(event));
    for (const event of whispers) it.listenForWhisper(event, tell(event));
  },
  whisper({ client, kind, channel, event, data }) {
    echoChannel(client, kind, channel).whisper(event, data);
  },
  leave({ client, channel }) {
    find(client).echo.leave(channel);
  },

  // The Node server SDK. server: settings of its constructor; args: those of the method called
  async sdk({ server, call, args }) {
    const Sdk = load("pusher");
    const value = await new Sdk(server)[call](...args);
    return typeof value?.json === "function" ? value.json() : value;
  },
  // headers: with lower-case names; the value is what a genuine webhook says
  webhook({ server, headers, body }) {
    const Sdk = load("pusher");
    const hook = new Sdk(server).webhook({ headers, rawBody: body });
    return hook.isValid() ? hook.getData() : null;
  },

  // A page in a browser
  async page({ client, url }) {
    const { open } = await import("./browser.mjs");
    pages.set(client, await open(url, (event, data) => report(client, "page", event, null, data)));
  },
  async close({ client }) {
    await pages.get(client)?.close();
    pages.delete(client);
  },
  // script: the body of an async function of `argument`
  evaluate({ client, script, argument = null }) {
    return pages.get(client).evaluate(`(async (argument) => {${script}})(${JSON.stringify(argument)})`);
  },
};

const pages = new Map();

// Listening to Python

async function run(line) {
  const { id, do: name, ...rest } = JSON.parse(line);
  try {
    write({ reply: id, value: (await commands[name](rest)) ?? null });
  } catch (error) {
    const { status, body } = error;
    const cause = error.error?.message; // of the Node SDK's own errors
    write({ reply: id, error: `${error.message}${cause ? `: ${cause}` : ""}`, status, body });
  }
}

process.on("uncaughtException", (error) => report(null, "process", "uncaughtException", null, error));

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (text) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  lines.forEach(run);
});
process.stdin.on("end", async () => {
  await (await import("./browser.mjs")).close();
  process.exit(0);
});
write({ ready: true });
