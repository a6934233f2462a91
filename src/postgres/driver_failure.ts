/**
 * What a driver's error without a SQLSTATE means. The server answered nothing then: either the
 * connection failed, which is an outage, or the driver refused what it was asked, which is a mistake
 * in the wiring. To take a mistake for an outage hides it for good, since nothing is wrong with the
 * database; to take an outage for a mistake makes calls fail that could be answered locally.
 */

/** Classes that a program throws at its own mistakes. */
const MISTAKES: readonly unknown[] = ["TypeError", "RangeError", "ReferenceError", "SyntaxError"];

/** Codes with which drivers refuse what they are asked: postgres.js and Bun, which share most names. */
const MISUSE_CODE =
  /^(?:ERR_POSTGRES_)?(?:UNDEFINED_VALUE|NOT_TAGGED_CALL|MAX_PARAMETERS_EXCEEDED|TOO_MANY_PARAMETERS|UNSAFE_TRANSACTION)$|^ERR_INVALID_ARG/;

/** What drivers without codes say: Knex, then node-postgres, then runtimes, also inside other errors. */
const MISUSE_MESSAGE =
  /\bExpected \d+ bindings, saw \d+|\bUndefined binding\(s\) detected|^A query must have either text or a name|^Query values must be an array|^Prepared statements must be unique|\bis not a function\b|^Cannot read propert/;

/**
 * Codes of connections: of the system (`ECONNRESET`), of postgres.js, of Bun, of Node's sockets, streams
 * and TLS, and of undici.
 */
const CONNECTION_CODE =
  /^E(?:CONN\w*|TIMEDOUT|PIPE|NOTFOUND|AI_AGAIN|HOSTUNREACH|HOSTDOWN|NETUNREACH|NETDOWN|NETRESET|ADDRNOTAVAIL|NOTCONN|NOENT|ACCES|MFILE|NFILE|PROTO)$|^CONNECT(?:ION)?_\w+$|^ERR_POSTGRES_(?:CONNECTION|IDLE|LIFETIME|TLS)\w*$|^ERR_(?:SOCKET|STREAM|TLS|SSL)_\w+$|^UND_ERR_\w+$/;

/** Classes of Deno's connections and of Deno Postgres, and those of deadlines. */
const CONNECTION_NAMES: readonly unknown[] = [
  ...["ConnectionRefused", "ConnectionReset", "ConnectionAborted", "NotConnected", "BrokenPipe"],
  ...["TimedOut", "UnexpectedEof", "Interrupted", "NetworkUnreachable", "AddrNotAvailable"],
  ...["BadResource", "ConnectionError", "TimeoutError", "AbortError"],
];

/** What `fetch` says where it cannot connect or read, as a TypeError: in Node, Deno, Chrome, Safari, Firefox. */
const FETCH_MESSAGE =
  /^(?:fetch failed|error sending request|error reading a body|Failed to fetch|Load failed|NetworkError)\b/;

/** Words of a failed connection: of node-postgres, PGlite, Knex, and of drivers that are unknown here. */
const CONNECTION_MESSAGE =
  /\bconnect(?:ions?|ed|ing)?\b|\bterminated\b|\btime(?:d )?out\b|\bnot queryable\b|\bpool\b|\bsocket\b|\b(?:is|was|been) (?:closed|closing|ended|destroyed)\b|\bnetwork\b|\bunreachable\b|\bend of file\b/i;

/** What pg says of a client and a pool that `end` was called for, also in the middle of a statement. */
const ENDED_MESSAGE =
  /^Client was closed and is not queryable|^Connection terminated$|^Cannot use a pool after calling end/;

/** What workerd says of a socket that another request has opened. */
const OTHER_REQUEST = /^Cannot perform I\/O on behalf of a different request/;

/** How deep causes are followed: they can form a circle. */
const MAX_DEPTH = 3;

/**
 * Whether an error without a SQLSTATE is known to be a mistake in the wiring. When in doubt it is
 * none, unless the client threw it (`isThrown`) instead of rejecting: then nothing was sent, and only
 * what speaks of a connection is taken for a failed one.
 */
export function isMisuse(cause: unknown, isThrown: boolean): boolean {
  const chain = chainOf(cause);
  if (chain.some(hasConnectionSign)) return false;
  if (chain.some(hasMisuseSign)) return true;
  return isThrown && !chain.some(({ message }) => CONNECTION_MESSAGE.test(textOf(message)));
}

/**
 * Whether an error says that the program itself has ended the connection. Where each call has one of its
 * own, it says nothing about the connections of other calls.
 */
export function isEndedByProgram(cause: unknown): boolean {
  return chainOf(cause).some(({ code, message }) =>
    code === "CONNECTION_ENDED" || ENDED_MESSAGE.test(textOf(message))
  );
}

/** Whether an error says that the connection belongs to another request. */
export function isOfOtherRequest(cause: unknown): boolean {
  return chainOf(cause).some(({ message }) => OTHER_REQUEST.test(textOf(message)));
}

interface Failure {
  name?: unknown;
  code?: unknown;
  message?: unknown;
  cause?: unknown;
  errors?: unknown;
}

/** An error, its causes, and what an aggregate consists of. */
function chainOf(cause: unknown, depth = 0): Failure[] {
  if (typeof cause !== "object" || cause === null || depth > MAX_DEPTH) return [];
  const failure = cause as Failure;
  const inner = Array.isArray(failure.errors) ? failure.errors.slice(0, MAX_DEPTH) : [];
  return [failure, ...[failure.cause, ...inner].flatMap((each) => chainOf(each, depth + 1))];
}

function hasConnectionSign({ name, code, message }: Failure): boolean {
  return CONNECTION_CODE.test(textOf(code)) || CONNECTION_NAMES.includes(name) ||
    FETCH_MESSAGE.test(textOf(message));
}

function hasMisuseSign({ name, code, message }: Failure): boolean {
  return MISTAKES.includes(name) || MISUSE_CODE.test(textOf(code)) ||
    MISUSE_MESSAGE.test(textOf(message));
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 1000) : "";
}
