export const reservedModuleNames: ReadonlyMap<string, string> = new Map([['django', 'the package django']]);
