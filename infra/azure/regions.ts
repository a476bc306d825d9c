/**
 * Regions of Azure's public cloud: the programmatic names of Microsoft's "Azure regions list"
 * (learn.microsoft.com/azure/reliability/regions-list, of September 2025), those that it announces included, and some
 * that only the constants of Azure's SDKs have (`indiasouthcentral`, `jioindia*`, `swedensouth`): reserved or newer
 * ones. Asking Azure would need credentials and a network in every preview; a newer region is added here.
 */
export const regions = [
  ...["australiacentral", "australiacentral2", "australiaeast"],
  ...["australiasoutheast", "austriaeast", "belgiumcentral", "brazilsouth"],
  ...["brazilsoutheast", "canadacentral", "canadaeast", "centralindia"],
  ...[
    "centralus",
    "chilecentral",
    "denmarkeast",
    "eastasia",
    "eastus",
    "eastus2",
  ],
  ...["francecentral", "francesouth", "germanynorth", "germanywestcentral"],
  ...[
    "indiasouthcentral",
    "indonesiacentral",
    "israelcentral",
    "italynorth",
    "japaneast",
  ],
  ...["japanwest", "jioindiacentral", "jioindiawest", "koreacentral"],
  ...["koreasouth", "malaysiawest", "mexicocentral", "newzealandnorth"],
  ...["northcentralus", "northeurope", "norwayeast", "norwaywest"],
  ...["polandcentral", "qatarcentral", "southafricanorth"],
  ...["southafricawest", "southcentralus", "southeastasia", "southindia"],
  ...["spaincentral", "swedencentral", "swedensouth", "switzerlandnorth"],
  ...["switzerlandwest", "uaecentral", "uaenorth", "uksouth", "ukwest"],
  ...["westcentralus", "westeurope", "westindia", "westus", "westus2"],
  "westus3",
] as const;
