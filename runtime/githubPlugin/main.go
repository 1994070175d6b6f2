// Upstream's provider for GitHub behind Pulumi's bridge: the resources of @pulumi/github, which is made of the same.
package main

import (
	"encoding/json"
	"io"
	"log"

	"github.com/integrations/terraform-provider-github/v6/github"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
)

// The SDK's, set at link time.
var version string

func main() {
	provider := tfbridge.ProviderInfo{
		Name:         "github",
		Version:      version,
		P:            shim.NewProvider(github.NewProvider(version, "")()),
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		// What follows is where the SDK's types differ from the names that the bridge makes.
		Config: map[string]*tfbridge.SchemaInfo{
			"base_url": {Default: &tfbridge.DefaultInfo{EnvVars: []string{"GITHUB_BASE_URL"}, Value: github.DotComAPIURL}},
			"token":    {Default: &tfbridge.DefaultInfo{EnvVars: []string{"GITHUB_TOKEN"}}, Secret: tfbridge.True()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"github_repository_environment": {
				Fields: map[string]*tfbridge.SchemaInfo{"reviewers": {MaxItemsOne: tfbridge.False()}},
			},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"github_app": {Tok: "github:index/getGithubApp:getGithubApp"},
		},
	}
	provider.MustComputeTokens(tokens.SingleModule("github_", "index", tokens.MakeStandard("github")))
	provider.SetAutonaming(255, "-")

	// Without it the provider checks no types, and programs in YAML cannot use it.
	schema, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo:    provider,
		DiagnosticsSink: diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: "never"}),
		XInMemoryDocs:   true,
	})
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(schema.PackageSpec)
	if err != nil {
		log.Fatal(err)
	}
	tfbridge.Main("github", version, provider, text)
}
