#!/usr/bin/env node
void import('./index.js').then(({ scriptsProgram }) => scriptsProgram()).then((ScriptsProgram) => new ScriptsProgram().start());
