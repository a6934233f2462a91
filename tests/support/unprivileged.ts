/** The user of a server that refuses root. Empty where the tests do not run as root. */
export interface Unprivileged {
  uid?: number;
  gid?: number;
}

/** Finds a user without rights for the servers, where the tests run as root. */
export async function unprivileged(): Promise<Unprivileged> {
  if (Deno.uid() !== 0) return {};
  const id = async (flag: string) => {
    const { stdout } = await new Deno.Command("id", { args: [flag, "nobody"] }).output();
    return Number(new TextDecoder().decode(stdout));
  };
  return { uid: await id("-u"), gid: await id("-g") };
}
