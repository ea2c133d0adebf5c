// A real browser from npm packages alone: @sparticuz/chromium (chrome-headless-shell) under puppeteer-core.
//
// The package is made for Lambda. Its archives are unpacked once, beside the packages, together with the few shared
// libraries and fonts that it needs, so that nothing has to be installed on the machine.
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const home = join(modules, ".browser");

async function unpack() {
  if (existsSync(home)) return;
  const { inflate } = await import("@sparticuz/chromium");
  const fresh = mkdtempSync(join(modules, ".browser-"));
  const before = process.env.TMPDIR;
  process.env.TMPDIR = fresh; // where inflate writes
  try {
    const archives = ["chromium.br", "al2023.tar.br", "fonts.tar.br"];
    await Promise.all(archives.map((name) => inflate(join(modules, "@sparticuz/chromium/bin", name))));
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  // the package's own file names folders of Lambda; without any font, form fields end the browser
  const fonts = '<fontconfig><dir prefix="relative">fonts</dir></fontconfig>';
  writeFileSync(join(fresh, "fonts/fonts.conf"), fonts);
  try {
    renameSync(fresh, home); // all or nothing
  } catch (error) {
    rmSync(fresh, { recursive: true });
    if (!existsSync(home)) throw error; // else another process was first
  }
}

let running;

async function start() {
  await unpack();
  const { default: puppeteer } = await import("puppeteer-core");
  return puppeteer.launch({
    executablePath: join(home, "chromium"),
    headless: "shell", // the package holds nothing else
    pipe: true, // no debugging port
    args: [
      "--no-sandbox", // root, as in a container, may not have one
      "--no-zygote",
      "--disable-gpu",
      "--disable-dev-shm-usage", // which is small in containers
      "--no-proxy-server",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1", // nothing beyond this machine
    ],
    env: { ...process.env, LD_LIBRARY_PATH: join(home, "al2023/lib"), FONTCONFIG_PATH: join(home, "fonts") },
  });
}

// Open a page; `report` is told its errors and what it logs.
export async function open(url, report) {
  const page = await (await (running ??= start())).newPage();
  page.on("console", (message) => report("console", message.text()));
  page.on("pageerror", (error) => report("pageerror", error.message));
  await page.goto(url);
  return page;
}

export async function close() {
  if (running) await (await running).close();
}
