/** Svelte reads TypeScript itself as long as it is types only, so the build needs no compiler beside it. */
export default { compilerOptions: { runes: true } };
