ASC ?= node_modules/.bin/asc

@MODULE@: plugin.ts int3rceptor.ts | $(ASC)
	$(ASC) plugin.ts -Oz --use abort=int3rceptor/trap -o $@

node_modules/.bin/asc: package.json
	npm install --no-audit --no-fund
