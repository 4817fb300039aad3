// The page without the dashboard: its files, kept by the browser, answer where the network doesn't. They hold no data.
// The server writes `VERSION`, a digest of `FILES`, above this: with other files this is another worker, which replaces
// the one before and what that one kept.

const CACHE = `review ${VERSION}`;

addEventListener("install", event => event.waitUntil(keepFiles()));
addEventListener("activate", event => event.waitUntil(forgetOthers()));
addEventListener("fetch", event => {
  const isFile = event.request.method === "GET" && FILES.includes(new URL(event.request.url).pathname);
  if (isFile) event.respondWith(fetch(event.request).catch(() => findKept(event.request)));
});

async function keepFiles() {
  await (await caches.open(CACHE)).addAll(FILES);
  await skipWaiting();
}

async function forgetOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter(name => name !== CACHE).map(name => caches.delete(name)));
  await clients.claim();
}

async function findKept(request) {
  return await caches.match(request, { cacheName: CACHE, ignoreSearch: true, ignoreVary: true }) || Response.error();
}
