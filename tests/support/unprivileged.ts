/** Whom a server that refuses root runs as. Empty where the tests are not root themselves. */
export interface Unprivileged {
  uid?: number;
  gid?: number;
}

/** Finds somebody without rights to run servers as, where the tests run as root. */
export async function unprivileged(): Promise<Unprivileged> {
  if (Deno.uid() !== 0) return {};
  const id = async (flag: string) => {
    const { stdout } = await new Deno.Command("id", { args: [flag, "nobody"] }).output();
    return Number(new TextDecoder().decode(stdout));
  };
  return { uid: await id("-u"), gid: await id("-g") };
}
