/**
 * The hosts that a link may name: those that every client reads alike. `seclink/format/host.py` has the same rules and
 * says why; `tests/vectors/pasted_hosts.json` is for both.
 */
// @ts-check
const MAX_NAME_CHARACTERS = 253;
const MAX_PORT = 65535;

const WITH_PORT = /^(\[[0-9a-f:.]+\]|[^:[\]@/]+)(?::([1-9][0-9]{0,4}))?$/;
const LABEL = /^[a-z0-9_\p{L}\p{M}\p{N}](?:[a-z0-9_\p{L}\p{M}\p{N}-]{0,61}[a-z0-9_\p{L}\p{M}\p{N}])?$/u;
const NUMBER = /^(?:[0-9]+|0x[0-9a-f]*)$/;

/**
 * Return whether a text in lower case is a host that can be used, perhaps with a port.
 * @param {string} text
 */
export function isUsableHost(text) {
  const [, name, port = "1"] = WITH_PORT.exec(text) ?? [];
  if (!name || Number(port) > MAX_PORT || name.normalize("NFKC") !== name) return false;
  const { hostname } = URL.canParse(`http://${name}`) ? new URL(`http://${name}`) : { hostname: "" };
  if (!hostname || name.startsWith("[")) return Boolean(hostname);
  const labels = name.replace(/\.$/, "").split(".");
  if (NUMBER.test(labels[labels.length - 1])) return hostname === name;
  return name.length <= MAX_NAME_CHARACTERS && labels.every((label) => LABEL.test(label));
}
