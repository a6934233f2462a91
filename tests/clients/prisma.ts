import type { PostgresClient } from "@circuit-breaker/postgres";

/** The part of a PrismaClient that the store needs. */
interface Prisma {
  $queryRawUnsafe(text: string, ...params: unknown[]): Promise<unknown>;
}

/** Statements of the store on the connections of a PrismaClient with a driver adapter. */
export function fromPrisma(prisma: Prisma): PostgresClient {
  return {
    async query(text, params = []) {
      try {
        const rows = await prisma.$queryRawUnsafe(text, ...params);
        return { rows: rows as Record<string, unknown>[] };
      } catch (error) {
        // The server's SQLSTATE in place of Prisma's own code, P2010 for all of them.
        const { meta } = error as { meta?: { driverAdapterError?: { cause?: PrismaCause } } };
        throw Object.assign(error as Error, {
          code: meta?.driverAdapterError?.cause?.originalCode,
        });
      }
    },
  };
}

interface PrismaCause {
  originalCode?: string;
}
