/** The part of Express's `req`, or of connect's, that is used. */
export interface ExpressRequestLike {
  /** The request's method. */
  readonly method?: string | undefined;
}

/** The part of a Node server's response that is used. */
export interface ExpressResponseLike {
  /** The status that was sent, or would be. */
  statusCode: number;
  /** Whether the headers have been sent. */
  readonly headersSent: boolean;
  /** Whether the connection is gone. */
  readonly destroyed?: boolean | undefined;
  /** The error that destroyed the response. */
  readonly errored?: unknown;
  /** Sets a header. */
  setHeader(name: string, value: string): unknown;
  /** Ends the response. */
  end(body: string): unknown;
  /** Adds a listener that is called once. */
  once(event: "finish" | "close", listener: () => void): unknown;
}
