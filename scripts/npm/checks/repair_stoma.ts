/**
 * Makes an installed Stoma importable.
 *
 * @module
 */

/** The gateway's package. */
export const STOMA = "@homegrower-club/stoma";

/**
 * Repairs the gateway in a project: it is published with the `exports` of its sources, and what it does
 * export imports files by names that no runtime resolves. `bundle` takes the place of its first module.
 */
export async function repairStoma(project: string, bundle: string): Promise<void> {
  const folder = `${project}/node_modules/${STOMA}`;
  const packageJson = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
  packageJson.exports = packageJson.publishConfig.exports;
  await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify(packageJson));
  await Deno.copyFile(bundle, `${folder}/dist/index.js`);
}
